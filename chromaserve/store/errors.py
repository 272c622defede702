"""What can go wrong with stored models."""


class ModelStoreError(Exception):
    """The model version is damaged, or made for another contract.

    Base of this package's errors; the message is a sentence for a person.
    """


class ModelNotFound(ModelStoreError):  # noqa: N818 - reads as a fact in tracebacks and logs
    """No such model or version."""


class ModelCorrupt(ModelStoreError):  # noqa: N818
    """A stored version's files are not what its model.json says."""


class ContractMismatch(ModelStoreError):  # noqa: N818
    """A model speaks another contract than this program."""
