"""Large embedding tables, of which a few examples read few rows.

The gradient of all other rows is zero. Writing these zeros for every example would cost more than
all the rest of a small network of texts, so gradients are taken by the rows that are read.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

LARGE = 2**16  # numbers in a table; those of smaller ones are written faster than looked up


@dataclass(frozen=True, eq=False)
class Tables:
    """The large tables of a module, by the names of their weights.

    >>> module = torch.nn.Sequential(torch.nn.Embedding(1000, 70), torch.nn.Linear(70, 2))
    >>> tables = Tables.of(module)
    >>> with tables.noted() as ids:
    ...     _ = module(torch.tensor([[7, 3, 7]]))
    >>> ids
    {'0.weight': [tensor([[7, 3, 7]])]}
    """

    modules: Mapping[str, torch.nn.Embedding]

    @staticmethod
    def of(module: torch.nn.Module) -> "Tables":
        """Tables that are read by their own layer alone, as far as weights that are shared tell."""
        names: dict[int, list[str]] = {}
        for name, value in module.named_parameters(remove_duplicate=False):
            names.setdefault(id(value), []).append(name)
        return Tables(
            {
                f"{name}.weight" if name else "weight": layer
                for name, layer in module.named_modules()
                if isinstance(layer, torch.nn.Embedding)
                and type(layer).forward is torch.nn.Embedding.forward
                and layer.weight.numel() >= LARGE
                and len(names.get(id(layer.weight), ())) == 1
                and layer.max_norm is None
                and not layer.scale_grad_by_freq
                and not layer.sparse
            }
        )

    @contextmanager
    def noted(self) -> Iterator[dict[str, list[torch.Tensor]]]:
        """A context that notes which rows are asked for."""
        found: dict[str, list[torch.Tensor]] = {name: [] for name in self.modules}

        def note(name: str) -> Callable[[Any, Any], None]:
            return lambda _, arguments: found[name].append(arguments[0])

        hooks = [
            layer.register_forward_pre_hook(note(name)) for name, layer in self.modules.items()
        ]
        try:
            yield found
        finally:
            for hook in hooks:
                hook.remove()

    @contextmanager
    def cut(self, rows: Mapping[str, torch.Tensor]) -> Iterator[None]:
        """A context in which tables are asked for places among these rows, in place of rows.

        The weights of a table have to be those of its rows. A row of padding has no gradient, as
        without the context.
        """
        hooks, padding = [], {name: layer.padding_idx for name, layer in self.modules.items()}
        for name, used in rows.items():
            layer = self.modules[name]
            place = torch.zeros(layer.num_embeddings, dtype=torch.long, device=used.device)
            place[used] = torch.arange(len(used), device=used.device)
            number = padding[name]
            is_read = number is not None and bool((used == number).any())
            layer.padding_idx = int(place[number]) if is_read else None
            hooks.append(
                layer.register_forward_pre_hook(
                    lambda _, arguments, place=place: (place[arguments[0]],)
                )
            )
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
            for name, number in padding.items():
                self.modules[name].padding_idx = number


def rows_of(noted: Mapping[str, list[Any]]) -> dict[str, torch.Tensor]:
    """The rows of each table that are read, each once."""
    return {
        name: torch.unique(torch.cat([ids.reshape(-1) for ids in all_ids]))
        for name, all_ids in noted.items()
        if all_ids
    }
