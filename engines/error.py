"""The errors of engines and bundles. Each message is one line: what is wrong, and what to do."""


class EngineError(Exception):
    """An engine cannot be loaded, or was fed the wrong thing."""


class BundleError(EngineError):
    """A bundle is damaged, or its parts do not fit together."""
