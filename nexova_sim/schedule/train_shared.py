"""The policy of schedule.shared for stable-baselines3: networks shared by the machines of a kind, silent at first."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from nexova_sim.kernels.energy_context import CONTEXT_IN, CONTEXT_OUT
from nexova_sim.kernels.energy_shared import MACHINE_IN
from nexova_sim.schedule.layer import Layer


class SharedNets(nn.Module):
    """Decisions (b, 4 m + 1) from inputs (b, CONTEXT_IN (m + 1)): a network per kind, and one for the cap."""

    kind: torch.Tensor

    def __init__(self, kinds: tuple[int, ...], n_kinds: int, width: int) -> None:
        super().__init__()
        self.m, self.width = len(kinds), width
        self.register_buffer("kind", torch.tensor(kinds), persistent=False)
        if width:
            self.first = nn.Parameter(torch.randn(n_kinds, width, MACHINE_IN) / MACHINE_IN**0.5)
            self.first_bias = nn.Parameter(torch.zeros(n_kinds, width))
            self.cap_first = nn.Linear(CONTEXT_IN, width)
        self.last = nn.Parameter(torch.zeros(n_kinds, CONTEXT_OUT, width + MACHINE_IN))
        self.last_bias = nn.Parameter(torch.zeros(n_kinds, CONTEXT_OUT))
        self.cap_last = nn.Linear(width + CONTEXT_IN, 1)
        nn.init.zeros_(self.cap_last.weight)
        nn.init.zeros_(self.cap_last.bias)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """All machines at once."""
        own = seen[:, : CONTEXT_IN * self.m].view(-1, self.m, CONTEXT_IN)
        site = seen[:, CONTEXT_IN * self.m :]
        x = torch.cat([own, site[:, None].expand(-1, self.m, -1)], dim=2)
        if self.width:
            hidden = torch.tanh(torch.einsum("bmi,mhi->bmh", x, self.first[self.kind]) + self.first_bias[self.kind])
            x, site = torch.cat([hidden, x], dim=2), torch.cat([torch.tanh(self.cap_first(site)), site], dim=1)
        out = torch.einsum("bmh,moh->bom", x, self.last[self.kind]) + self.last_bias[self.kind].T
        return torch.cat([out.flatten(1), self.cap_last(site)], dim=1)

    def export(self) -> tuple[Layer, ...]:
        """The layers in the order of schedule.shared.net_shapes."""

        def plain(weight: torch.Tensor, bias: torch.Tensor) -> Layer:
            return Layer(weight.detach().numpy().copy(), bias.detach().numpy().copy())

        layers = []
        for kind in range(len(self.last)):
            if self.width:
                layers.append(plain(self.first[kind], self.first_bias[kind]))
            layers.append(plain(self.last[kind], self.last_bias[kind]))
        caps = [self.cap_first, self.cap_last] if self.width else [self.cap_last]
        return (*layers, *(plain(c.weight, c.bias) for c in caps))


class SharedPolicy(ActorCriticPolicy):
    """An actor of SharedNets with a critic of its own; ``kinds`` are the machines' kinds, ``n_kinds`` of them."""

    def __init__(self, *args: Any, kinds: tuple[int, ...], n_kinds: int, width: int,
                 **settings: Any) -> None:  # fmt: skip
        self.own = (kinds, n_kinds, width)
        super().__init__(*args, **settings)

    def _build(self, lr_schedule: Any) -> None:  # noqa: ANN401
        super()._build(lr_schedule)
        self.action_net = SharedNets(*self.own)
        make: Any = self.optimizer_class
        self.optimizer = make(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        kinds, n_kinds, width = self.own
        return super()._get_constructor_parameters() | {"kinds": kinds, "n_kinds": n_kinds, "width": width}
