"""Fit the network by Keras's own `fit`: streamed views, checkpoints, exact resume."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import ops

from chromaserve.locks import alone

from .callbacks import Clock, Follow, KeepWeights
from .config import Config, run_config
from .data import Entry, evenly_spaced
from .errors import DataError
from .losses import rebalancing_weights, soft_bins
from .model import ColorizationModel, target_side
from .optimizer import optimizer
from .stream import Stream, limit_threads
from .vgg import TAP_SHAPES, frozen_taps
from .weights import assign, load_npz, read_weights

if TYPE_CHECKING:
    from .ncnn_encoder import NcnnEncoder
    from .tap_cache import TapCache

MEASURED = "measured.json"
BEGUN = ("last.npz", MEASURED)  # what a run's folder has of one that began
STATISTICS_VIEWS = 256  # from which tap sizes and the bins' frequencies are estimated


def measure_statistics(
    model: ColorizationModel, stream: Stream, missing: Sequence[str] | None = None
) -> None:
    """Set the bins' weights and the taps' scales from views of the stream's first batches.

    missing: the weights that a start lacks; the scales that it has stay. None: there is no start.
    """
    taken = [
        name
        for name in model.decoder.input
        if name in TAP_SHAPES and (missing is None or f"decoder:{name}_scale/scale" in missing)
    ]
    squares = {name: np.zeros(TAP_SHAPES[name][1]) for name in taken}
    prior, count = np.zeros(len(model.bins)), 0
    bins = ops.convert_to_tensor(model.bins)
    for i in range(min(len(stream), -(-STATISTICS_VIEWS // stream.batch))):
        x, y = stream[i]
        for name, tap in model.taps(x).items() if taken else ():
            if name in squares:
                squares[name] += np.mean(np.square(ops.convert_to_numpy(tap)), axis=(0, 1, 2))
        soft = soft_bins(ops.convert_to_tensor(y["ab"][:, ::2, ::2]), bins)
        prior += ops.convert_to_numpy(ops.mean(soft, (0, 1, 2)))
        count += 1
    for name, total in squares.items():
        model.decoder.get_layer(f"{name}_scale").set_weights([np.sqrt(total / count + 1e-6)])
    weights = rebalancing_weights(np.asarray(prior / count), model.config.train.rebalance)
    model.bin_weights.assign(weights)


def check_config(folder: Path, config: Config) -> None:
    """Write the configuration into the run's folder; refuse another than that of a run begun."""
    if any((folder / name).exists() for name in BEGUN) and run_config(folder) != config:
        raise DataError(f"{folder} holds a run of another configuration: name another folder")
    (folder / "config.json").write_text(config.model_dump_json(indent=2))


def train(
    config: Config, folder: Path, entries: Sequence[Entry], root: Path, cache: Path | None = None
) -> keras.callbacks.History:
    """Fit; resumes from the state that an earlier, killed call left in the folder.

    Leaves last.npz and best*.npz (weights), log.csv, tensorboard/ and state/; with `cache_gb`, taps
    in the folder `cache`, by default below. Several devices share batches, where Keras can (JAX).
    Raises DataError for a folder that holds another configuration, or where another fit is under
    way, and for taps without room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            held.enter_context(alone(folder))
        except BlockingIOError:
            raise DataError(f"a fit is under way in {folder}: name another folder") from None
        check_config(folder, config)
        return _fit(config, folder, entries, root, cache)


def _fit(
    config: Config, folder: Path, entries: Sequence[Entry], root: Path, cache: Path | None
) -> keras.callbacks.History:
    settings = config.train
    keras.utils.set_random_seed(config.seed)
    keras.mixed_precision.set_global_policy(settings.precision)
    limit_threads()
    if keras.backend.backend() == "jax" and len(keras.distribution.list_devices()) > 1:
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(auto_shard_dataset=False)
        )
    chosen = [e for e in entries if e.split == "train"]
    val = [e for e in entries if e.split == "val"]
    val = [val[i] for i in evenly_spaced(len(val), settings.val_photos)]
    if not chosen or not val:
        raise DataError("training needs training and validation photos: see [data]")
    model = ColorizationModel(config)
    if not settings.distribution_weight:
        model.distribution.trainable = False
    missing = begin(model, folder)
    frozen: NcnnEncoder | None = None
    taps: TapCache | None = None
    if settings.frozen == "ncnn":
        from .ncnn_encoder import frozen_part

        frozen = frozen_part(model)
    if settings.cache_gb:
        taps = open_cache(config, frozen, cache or folder / "cache", len(chosen) + len(val))
    stream = Stream(
        chosen, root, config.views, target_side(config, config.views.side), settings.batch,
        views=settings.views_per_epoch, seed=config.seed, buffer=settings.buffer, frozen=frozen,
        taps=taps, workers=settings.workers, processes=settings.processes,
    )  # fmt: skip
    watched = Stream(
        val, root, config.views, target_side(config, 224), min(8, settings.batch), frozen=frozen,
        taps=taps, workers=settings.workers,
    )  # fmt: skip
    state = folder / "state"
    if not state.exists():
        measure_statistics(model, stream, missing)
    # On CPUs, too, XLA is much faster at the encoder's wide convolutions; a decoder alone would
    # gain nothing by it.
    compiled = keras.backend.backend() == "jax" or config.encoder.trainable_from is not None
    model.compile(optimizer=optimizer(settings, model), jit_compile=compiled)
    model.optimizer.build(model.trainable_variables)
    callbacks = [
        Follow(stream, config.seed),
        KeepWeights(folder),
        keras.callbacks.CSVLogger(folder / "log.csv", append=True),
        keras.callbacks.BackupAndRestore(state, double_checkpoint=True, delete_checkpoint=False),
    ]
    if settings.ema_momentum:
        callbacks.insert(2, keras.callbacks.SwapEMAWeights())
    if settings.minutes is not None:
        callbacks.append(Clock(settings))
    if keras.backend.backend() == "tensorflow":
        callbacks.append(keras.callbacks.TensorBoard(folder / "tensorboard"))
    if settings.patience < settings.epochs:
        callbacks.append(keras.callbacks.EarlyStopping("val_loss", patience=settings.patience))
    try:
        return model.fit(
            stream,
            epochs=settings.epochs,
            validation_data=watched,
            callbacks=callbacks,
            shuffle=False,  # the stream's order is drawn, and a resumed fit would draw another
            verbose=2,
        )
    finally:
        stream.close()


def begin(model: ColorizationModel, folder: Path) -> list[str] | None:
    """Take the weights that a fit begins with: the network trained apart, those to start from.

    Returns what the start lacks, None where there is none.
    A resumed fit too: the frozen blocks are copied from the model before its state is read.
    """
    if model.fusion is not None and (folder / "fusion.npz").is_file():
        load_npz(folder / "fusion.npz", model)
    if source := model.config.train.start_from:
        missing = assign(model, read_weights(Path(source)), grow=True)
        print(f"started from {source}; new: {', '.join(missing) or 'nothing'}")
        return missing
    return None


def open_cache(
    config: Config, frozen: "NcnnEncoder | None", folder: Path, photos: int
) -> "TapCache":
    """A cache of what the frozen blocks answer. Raises DataError without room for so many."""
    from .tap_cache import TapCache, bytes_per_photo, check_room

    if frozen is None or not config.views.plain:
        raise DataError(
            "cache_gb keeps the taps of photos as they are, by ncnn: it takes [views] plain = true "
            'and [train] frozen = "ncnn"'
        )
    each = bytes_per_photo(config.decoder, frozen_taps(config))
    cache = TapCache(folder, frozen)
    print(check_room(cache.folder, photos, each, config.train.cache_gb))
    return cache
