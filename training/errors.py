"""What a person who trains can mend. Apart, as the modules that raise it import TensorFlow."""


class TrainingError(Exception):
    """Base of this package's errors; the message is a sentence for a person."""


class DataError(TrainingError):
    """The photos asked for aren't there, or none of them can be used."""


class WeightsError(TrainingError):
    """The encoder's weights file is missing a layer or has other shapes."""


class PublishError(TrainingError):
    """The exported model doesn't answer as the Keras model does."""
