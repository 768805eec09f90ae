"""Every MQTT topic of the contract with head office, in one place."""

from dataclasses import dataclass

from gateway.messages import Stream

ROOT = "aisled/v1"
DOWN_KINDS = ("prices", "products", "bindings", "planogram", "commands")


@dataclass(frozen=True)
class Topics:
    """Topics of one gateway of one shop."""

    store: str
    gateway: str

    @property
    def root(self) -> str:
        """What all topics of the shop begin with."""
        return f"{ROOT}/{self.store}"

    def up(self, what: str) -> str:
        """Return a topic of this gateway: `business`, `telemetry`, `status`, `health`."""
        return f"{self.root}/{self.gateway}/up/{what}"

    @property
    def streams(self) -> dict[Stream, str]:
        """Where events go, by stream."""
        return {"business": self.up("business"), "telemetry": self.up("telemetry")}

    @property
    def down(self) -> str:
        """What all orders to the shop begin with."""
        return f"{self.root}/down/"

    def kind(self, topic: str) -> str | None:
        """Return what an order is about (`prices`, `commands/blink`), or None when the topic is no order."""
        return topic.removeprefix(self.down) if topic.startswith(self.down) else None

    def may_answer_on(self, topic: str) -> bool:
        """Tell whether a response topic can be used: one that exists, and that is no order to ourselves."""
        return bool(topic) and not set(topic) & set("+#\0") and not topic.startswith((self.down, "$"))
