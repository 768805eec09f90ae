"""What `proof.py` found out about one minute, in words and in the shop's time."""

from datetime import datetime
from zoneinfo import ZoneInfo

from gateway.prices.face_money import style_for, write_money
from gateway.store.proof import Charge, LabelProof, Proof, Sold

_VERDICTS = {
    True: "the till charged no more than any label showed or may have shown",
    False: "THE TILL MAY HAVE CHARGED MORE THAN A LABEL SHOWED",
    None: "no comparison: label or till has no price recorded for that minute",
}


def text(proof: Proof) -> str:
    """Return the proof for people."""
    zone = ZoneInfo(proof.timezone)
    lines = [f"{proof.gtin}, {proof.from_at.astimezone(zone):%Y-%m-%d %H:%M} ({proof.timezone})"]
    lines += [f"  till:  {_charge_text(charge, zone)}" for charge in proof.charged] or ["  till:  nothing recorded"]
    lines += [_sold_text(line, zone) for line in proof.sold]
    lines += [line for one in proof.labels for line in _label_text(one, zone)] or ["  label: none had it"]
    return "\n".join([*lines, f"  {_VERDICTS[proof.fair]}"])


def _money(price_minor: int | None, currency: str | None) -> str:
    if price_minor is None or currency is None:
        return "no price"
    return f"{write_money(price_minor, style_for(currency))} {currency}"


def _local(at: str, zone: ZoneInfo) -> str:
    return datetime.fromisoformat(at).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def _charge_text(charge: Charge, zone: ZoneInfo) -> str:
    return f"{_money(charge.price_minor, charge.currency)} since {_local(charge.since, zone)} ({charge.reason})"


def _sold_text(line: Sold, zone: ZoneInfo) -> str:
    lowest = "no label" if line.lowest_minor is None else f"labels {_money(line.lowest_minor, line.currency)} or more"
    price = _money(line.price_minor, line.currency)
    return f"  sold:  {price} at {line.terminal}, {_local(line.at, zone)}, {line.line} ({lowest}), row {line.row}"


def _label_text(one: LabelProof, zone: ZoneInfo) -> list[str]:
    lines = [
        f"  label {one.label}: showed {_money(face.price_minor, face.currency)}, proven {_local(face.since, zone)} "
        f"by {face.proof}, digest {(face.digest or '')[:12]}, row {face.row}"
        for face in one.proven
    ]
    return lines + [
        f"  label {one.label}: may have shown {_money(face.price_minor, face.currency)}, "
        f"sent {_local(face.since, zone)}, digest {(face.digest or '')[:12]}, row {face.row}"
        for face in one.possible
    ]
