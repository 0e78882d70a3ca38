"""The errors a user can meet. Each message is one line: what is wrong, and what to do."""


class SensoriumError(Exception):
    """Root of the errors that end a command with a message instead of a traceback."""


class ConfigError(SensoriumError):
    """The configuration is wrong; the message names the place and the nearest valid key."""


class WireError(SensoriumError):
    """A message is not one of ours, or not whole."""


class BusError(SensoriumError):
    """An endpoint cannot be bound or reached."""


class SensorLostError(SensoriumError):
    """A device or stream went away; its process reports it and opens it again."""


class SensorHungError(SensorLostError):
    """A device call does not return; only a new process can help."""


class RequiredStreamError(SensoriumError):
    """A stream with `required = true` is gone, and so the run is over."""


class ControlError(SensoriumError):
    """A running pipeline refused a request, or none is running."""


class OverwrittenError(SensoriumError):
    """A payload in shared memory is gone: its reader was too slow, or its writer died
    or was late."""
