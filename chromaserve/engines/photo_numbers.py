"""The numbers that a photo's vividness gives a network: a small program, kept as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromaserve.engines.arithmetic import OPERATIONS, Array


@dataclass(frozen=True)
class Step:
    """One operation of `chromaserve.engines.arithmetic` on named values."""

    operation: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any]


class PhotoNumbers:
    """From vividness to the inputs of a network that depend on nothing else."""

    def __init__(
        self,
        given: str,
        steps: Sequence[Step],
        constants: Mapping[str, Array],
        outputs: Mapping[str, str],
    ) -> None:
        """Hold a program.

        Args:
            given: name of the vividness, float32 [1].
            steps: in an order in which each follows what it reads.
            constants: values that the steps read, by name.
            outputs: value's name -> name of the network's input.
        """
        self._given = given
        self._steps = list(steps)
        self._constants = dict(constants)
        self._outputs = dict(outputs)

    def __call__(self, vividness: float) -> dict[str, NDArray[np.float32]]:
        """Each of the network's inputs by its name, float32 [1]."""
        values: dict[str, Array] = {**self._constants}
        values[self._given] = np.asarray([vividness], np.float32)
        for step in self._steps:
            inputs = [values[name] for name in step.inputs]
            values[step.output] = OPERATIONS[step.operation](inputs, step.attributes)
        return {
            blob: np.ascontiguousarray(values[name], np.float32).reshape(1)
            for name, blob in self._outputs.items()
        }

    def to_json(self) -> str:
        """Write the program; `from_json` reads it."""
        return json.dumps(
            {
                "given": self._given,
                "steps": [
                    [step.operation, step.inputs, step.output, step.attributes]
                    for step in self._steps
                ],
                "constants": {
                    name: {"dtype": array.dtype.name, "values": array.tolist()}
                    for name, array in self._constants.items()
                },
                "outputs": self._outputs,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "PhotoNumbers":
        """Read a program.

        Raises:
            ValueError, KeyError, TypeError: it is none.
        """
        read = json.loads(text)
        steps = [Step(name, tuple(inputs), out, more) for name, inputs, out, more in read["steps"]]
        constants = {
            name: np.asarray(held["values"], held["dtype"])
            for name, held in read["constants"].items()
        }
        return cls(read["given"], steps, constants, read["outputs"])
