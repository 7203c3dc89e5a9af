"""keras/NAME#LAYER: networks of keras.applications and saved .keras files.

They run on the JAX backend, are differentiable, and have twins and layers.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from featalign.errors import FeatalignError, first_line
from featalign.nearest import did_you_mean
from featalign.sources.address import Address, parse
from featalign.sources.extras import releases
from featalign.sources.jax_networks import with_network
from featalign.sources.keras_networks import LOGITS, Loaded, keras_on_jax, read_inputs
from featalign.sources.parts import AtOnce
from featalign.sources.resident import Resident
from featalign.sources.source import Source, check_layer, digest_arrays

PIXELS_AT_ONCE = 64 * 224 * 224  # the pixels of all images in one pass


def load_keras_source(rest: str) -> Source:
    """A Keras network as a source.

    NAME is one of keras.applications, with its ImageNet weights and preprocessing, or the path of a
    .keras file. Layers are those of the network's own graph by name; those with more than two axes
    are averaged over the middle ones. A last Dense layer, or a last convolution of one place, is
    taken for the head. Its input is the default layer, and its output is `logits` (logarithms of
    probabilities where it ends in a softmax). A file is read in safe mode. Where it has no
    Rescaling or Normalization of its own, pixels are given as 0 to 1, and the ranking says so.
    Raises FeatalignError for a name, file or layer that does not exist, another backend, or no
    network.
    """
    address = parse("keras/", rest)
    if address.revision is not None:
        raise FeatalignError(
            f"{address.text}: Keras networks have no revisions; leave out @{address.revision}, the "
            "weights are digested"
        )
    keras = keras_on_jax(address)
    build = (
        _file(address, keras) if address.name.endswith(".keras") else _application(address, keras)
    )
    loaded = Resident(lambda: Loaded.of(address, build()))
    model, graph = loaded().model, loaded().graph
    default = address.layer or graph.default
    check_layer(default, graph.layers, name=address.name)
    # building a network draws these seeds anew
    kept = [variable for variable in model.variables if "seed_generator" not in variable.path]
    weights = {
        f"{place} {variable.path}": np.asarray(variable.value)
        for place, variable in enumerate(kept)
    }
    revision = digest_arrays(
        weights | {f"{model.to_json()} {releases('keras', 'jax')}": np.zeros(0)}
    )
    reading = read_inputs(address, model)
    side = reading.form.size
    source = Source(
        address.text,
        revision,
        lambda prepared, wanted: loaded().embed(prepared, wanted),
        graph.layers,
        default,
        LOGITS if graph.head else None,
        reading,
        model=loaded,
        at_once=AtOnce(None if side is None else max(1, PIXELS_AT_ONCE // (side[0] * side[1]))),
    )
    return with_network(source, lambda: loaded().parts, lambda seed: loaded().fresh(seed))


def _file(address: Address, keras: Any) -> Callable[[], Any]:
    path = address.folder
    if path is None or not path.is_file():
        raise FeatalignError(
            f"{address.text}: there is no file {address.name}; name a file that model.save made, "
            "ending in .keras"
        )

    def build() -> Any:
        try:
            return keras.saving.load_model(str(path), compile=False, safe_mode=True)
        except Exception as error:  # a foreign archive fails in every way there is
            if "could not be loaded" in str(error):  # it ends with a list of the layers
                raise FeatalignError(
                    f"{address.text}: weights are missing from it, or of another shape, for "
                    f"{str(error).strip().splitlines()[-1][:200]}; save the network anew"
                ) from error
            raise FeatalignError(
                f"{address.text}: Keras cannot load it in safe mode ({first_line(error)}); "
                "files with code of their own are not run, use py:MODULE:FACTORY for them"
            ) from error

    return build


def _application(address: Address, keras: Any) -> Callable[[], Any]:
    names = sorted(name for name in dir(keras.applications) if name[0].isupper())
    if address.name not in names:
        if address.name.endswith((".h5", ".hdf5")):
            raise FeatalignError(
                f"{address.text}: .h5 files of Keras can run code when read and are not; save the "
                "network again as .keras"
            )
        raise FeatalignError(
            f"{address.text}: keras.applications has no {address.name}; "
            f"{did_you_mean(address.name, names)}it has {', '.join(names)}, "
            "or name a .keras file"
        )
    function = getattr(keras.applications, address.name)

    def build() -> Any:
        try:
            with _silent(), _own_names():
                return function(weights="imagenet", classifier_activation=None)
        except Exception as error:  # downloads fail in many types
            raise FeatalignError(
                f"{address.text}: its weights are not on disk and cannot be fetched "
                f"({first_line(error)}); "
                "go online once, or save the network as a .keras file and name that"
            ) from error

    return build


@contextmanager
def _silent() -> Iterator[None]:
    """A context in which Keras shows no bar on standard output while it fetches."""
    from contextlib import redirect_stdout

    with redirect_stdout(sys.stderr):
        yield


@contextmanager
def _own_names() -> Iterator[None]:
    """A context in which numbers in the names of layers count from zero.

    The names enter the revision and the cache, so networks built before in this process must make
    no difference.
    """
    from collections import defaultdict

    # no public way leaves the user's own count as it was
    from keras.src.backend.common import global_state

    before = global_state.get_global_attribute("object_name_uids")
    global_state.set_global_attribute("object_name_uids", defaultdict(int))
    try:
        yield
    finally:
        global_state.set_global_attribute(
            "object_name_uids", before if before is not None else defaultdict(int)
        )
