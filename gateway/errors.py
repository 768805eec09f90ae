"""Errors that say who must act. Imports nothing of ours; every error that crosses a module boundary derives from here.

`ConfigError`: a person must change something, a retry is useless. `DeviceError`: try again later. `Refused`: the
sender of an order made a mistake and is told so. Anything else that escapes is our own bug.
"""


class GatewayError(Exception):
    """Root of all our errors."""


class ConfigError(GatewayError):
    """A person must act: wrong file, field, secret or permission."""


class StoreError(GatewayError):
    """The disk does not take what we must keep: full, read-only, damaged. Retried until a person mends it."""


class Refused(GatewayError):
    """An order was not accepted; the text is the reason that its sender reads."""


class NotForSale(Refused):
    """The code was read, but the product is unknown, has no price, or may not be sold; the text says which."""


class DeviceError(GatewayError):
    """The device or the way to it failed: restart the driver."""


class LinkDown(DeviceError):
    """No connection, or it broke."""


class BadFrame(DeviceError):
    """Bytes from the device are not what its protocol allows; the text carries them."""


class Rejected(DeviceError):
    """The device understood and said no."""
