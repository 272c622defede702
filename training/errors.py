"""What a person who trains can mend. Apart, as the modules that raise it import TensorFlow."""


class TrainingError(Exception):
    """Base of this package's errors; the message is a sentence for a person."""


class DataError(TrainingError):
    """The photos asked for aren't there, or none of them can be used."""


class CacheError(TrainingError):
    """The cache is missing, doesn't fit the limit or the disk, or is of another configuration."""


class WeightsError(TrainingError):
    """The encoder's weights file is missing a layer or has other shapes."""


class StrategyError(TrainingError):
    """The settings ask for devices, hosts or a share of the batch that can't be."""


class PublishError(TrainingError):
    """The exported model doesn't answer as the Keras model does."""
