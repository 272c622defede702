"""Where a fit runs: one device, the devices of one host, or several hosts, by tf.distribute.

Every replica (a device's copy of the network) takes an equal share of each batch, so that means
over replicas are means over the batch.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .config import Fit
from .errors import StrategyError
from .feed import Batch, CachedFeed, PhotoFeed

SEED_STRIDE = 1_000_003  # between replicas: a prime far above the seeds that people choose


@dataclass(frozen=True)
class Distribution:
    """A strategy, how many replicas it has over all hosts, and which of the hosts this one is."""

    strategy: tf.distribute.Strategy
    replicas: int
    workers: int = 1
    worker: int = 0

    @property
    def chief(self) -> bool:
        """Whether this host is the one that writes the run's folder."""
        return self.worker == 0

    def whole_batches(self, order: NDArray[np.int64], batch: int) -> NDArray[np.int64]:
        """Leave out an epoch's last batch if it is partial and has to be shared.

        Raises StrategyError when nothing is left.
        """
        if self.replicas == 1:
            return order
        whole = len(order) // batch * batch
        if not whole:
            raise StrategyError(f"an epoch of {len(order)} images has no whole batch of {batch}")
        return order[:whole]

    def share(self, order: NDArray[np.int64], batch: int) -> NDArray[np.int64]:
        """The images of whole batches that this host's replicas take, replica by replica."""
        own = self.replicas // self.workers
        shares = order.reshape(-1, self.replicas, batch // self.replicas)
        return shares[:, self.worker * own : (self.worker + 1) * own].reshape(-1)

    def batches(
        self, feed: CachedFeed | PhotoFeed, order: NDArray[np.int64], taps: Iterable[str] | None
    ) -> Iterable[Batch]:
        """The order's batches, one device's share to each replica; taps as the feed takes them."""
        chosen: dict[str, Any] = {} if taps is None else {"taps": taps}
        batches: Iterable[Batch]
        if self.replicas == 1:
            batches = feed.batches(order, **chosen)
        else:
            own = self.share(order, feed.batch)
            shares = feed.batches(own, batch=feed.batch // self.replicas, **chosen)
            batches = self.strategy.distribute_datasets_from_function(lambda _: shares)
        return batches

    def images(self, batch: Batch) -> int:
        """How many images a batch of `batches` has, over all hosts."""
        shares = self.strategy.experimental_local_results(batch["ab"])
        return sum(int(share.shape[0]) for share in shares) * self.workers

    def agreed(self, value: float) -> float:
        """The hosts' mean of a value that each measured; all must ask. Waits for the slowest.

        Hosts that decide by their own measurements could differ in the last digit, and one would
        then wait for the other for ever.
        """
        if self.workers == 1:
            return value
        return float(self.strategy.reduce("MEAN", tf.constant(value, tf.float64), axis=None))

    def wait(self) -> None:
        """Wait until every host is here: one that ends ends the others' connections."""
        self.agreed(0.0)

    def synchronise_normalisation(self, model: keras.Model) -> None:
        """Have batch normalisation see the whole batch's statistics, not a replica's."""
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = self.replicas > 1

    def spread_seeds(self, models: Iterable[keras.Model]) -> None:
        """Give every replica another seed for dropout: a mirrored one drops the same everywhere."""
        if self.replicas == 1:
            return
        first = self.worker * self.replicas // self.workers
        for model in models:
            for variable in model.variables:
                if "seed_generator" in variable.path:
                    state = variable.value.numpy()
                    for i, copy in enumerate(
                        self.strategy.experimental_local_results(variable.value), first
                    ):
                        copy.assign(state + np.array([i * SEED_STRIDE, 0], state.dtype))


def distribute(settings: Fit) -> Distribution:
    """Make what `[fit] strategy` and `logical_devices` ask for.

    Must come before anything that TensorFlow computes: devices and the connections between hosts
    are made when it starts. Raises StrategyError.
    """
    if settings.logical_devices:
        _split_cpu(settings.logical_devices)
    if settings.strategy == "multi_worker":
        distribution = _multi_worker()
    else:
        kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
        if settings.logical_devices:
            kind = "CPU"
        devices = [device.name for device in tf.config.list_logical_devices(kind)]
        if settings.strategy == "one" or (settings.strategy == "auto" and len(devices) == 1):
            return Distribution(tf.distribute.get_strategy(), 1)
        distribution = Distribution(tf.distribute.MirroredStrategy(devices), len(devices))
    if settings.batch % distribution.replicas:
        raise StrategyError(
            f"a batch of {settings.batch} can't be shared evenly by {distribution.replicas} devices"
        )
    return distribution


def _split_cpu(parts: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * parts
        )
    except RuntimeError as e:
        raise StrategyError(f"logical_devices can't be set any more: {e}") from None


def _multi_worker() -> Distribution:
    try:
        found = json.loads(os.environ["TF_CONFIG"])
        hosts, worker = found["cluster"]["worker"], int(found["task"]["index"])
        if found["task"]["type"] != "worker" or not 0 <= worker < len(hosts):
            raise ValueError("the task is none of the cluster's workers")
    except KeyError as e:
        raise StrategyError(f"multi_worker needs TF_CONFIG; {e} is missing") from None
    except (ValueError, TypeError) as e:
        raise StrategyError(f"TF_CONFIG: {e}") from None
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as e:
        raise StrategyError(f"no strategy over {len(hosts)} hosts: {e}") from None
    return Distribution(strategy, strategy.num_replicas_in_sync, len(hosts), worker)
