"""Every failure a caller can act on, as one tree of named exceptions."""


class SmolFusionError(Exception):
    """Base of all errors raised by this package."""


class ConfigurationError(SmolFusionError):
    """A configuration file, parameter or profile is missing or wrong."""


class FrameError(SmolFusionError):
    """An image message or an encoded picture cannot be read."""


class ModelError(SmolFusionError):
    """A model file cannot be used."""


class ModelMissingError(ModelError):
    """A model file is not there; the message tells how to get it."""


class ModelDamagedError(ModelError):
    """A model file's size or SHA-256 is not what the manifest says."""


class ProviderError(SmolFusionError):
    """No llama.cpp server that suits the request is installed."""


class BackendError(SmolFusionError):
    """A llama backend answered with an error or not as expected."""


class BackendRefusedError(BackendError):
    """A remote engine wants an API key, or does not take the one that it was given."""


class BackendUnavailableError(BackendError):
    """A llama backend cannot be reached, is still loading, fails, or missed a deadline."""


class CommandError(SmolFusionError):
    """A robot command is not in the catalogue or its arguments are wrong."""


class UtteranceError(SmolFusionError):
    """An utterance cannot be taken: empty, too long, or not text."""


class BusyError(SmolFusionError):
    """More work is waiting than the queue's bound allows."""


class InactiveError(SmolFusionError):
    """A node is not active and does not take work."""


class SessionError(SmolFusionError):
    """A conversation session does not exist or its name is not valid."""


class MemoryStoreError(SmolFusionError):
    """The conversation store cannot be read or written."""


class SpeechError(SmolFusionError):
    """Sound cannot be taken or given: a device, a format, an engine or its model fails."""
