"""A recurrent cell between encoder and decoder: what was seen is carried from frame to frame.

Sequence to sequence learning (Sutskever, Vinyals, Le, NeurIPS 2014) carries a state along a
sequence; here the sequence is a camera's frames, and the state a map at stride 16.

- `gru`: gated recurrent unit (Cho et al., EMNLP 2014) with convolutions (Ballas et al., "Delving
  Deeper into Convolutional Networks for Learning Video Representations", ICLR 2016). As in
  `torch.nn.GRUCell` the reset gate multiplies what comes from the state, after its convolution:

      u = sigmoid(U_u x + V_u h + b_u)
      r = sigmoid(U_r x + V_r h + b_r)
      n = tanh(U_n x + b_n + r (V_n h + c_n))
      h' = h + u (n - h)

- `minimal`: one gate is both, r = u (Zhou et al., "Minimal Gated Unit for Recurrent Neural
  Networks", IJAC 2016).

The features become x + W h' + b. h starts at 0 and stays in -1..1, so that in int8 its scale is
1/128 in every file. Input and state have convolutions of their own: joined, both would need one
scale in int8.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ghostdepth_train.config import StreamConfig


class StreamCell(nn.Module):
    """Features and a state to features and the next state.

    Args:
        channels: Channels of the features.
        config: Kind of the cell and its size.
    """

    def __init__(self, channels: int, config: StreamConfig) -> None:
        super().__init__()
        inner, kernel = config.channels, config.kernel

        def of_input() -> nn.Conv2d:
            return nn.Conv2d(channels, inner, kernel, padding=kernel // 2)

        def of_state(*, bias: bool = False) -> nn.Conv2d:
            return nn.Conv2d(inner, inner, kernel, padding=kernel // 2, bias=bias)

        self.update, self.update_state = of_input(), of_state()
        self.reset: nn.Conv2d | None = None
        if config.kind == "gru":
            self.reset, self.reset_state = of_input(), of_state()
        self.new, self.new_state = of_input(), of_state(bias=True)
        self.project = nn.Conv2d(inner, channels, 1)

    def initialise(self) -> None:
        """Lets the network begin as the one without a cell: the state has no effect yet."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(self.project.weight)

    def empty(self, x: Tensor) -> Tensor:
        """The state before the first frame of features NxCxhxw."""
        return x.new_zeros(len(x), self.project.in_channels, *x.shape[-2:])

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """NxCxhxw features and NxSxhxw state -> features and state of the same shapes."""
        update = torch.sigmoid(self.update(x) + self.update_state(state))
        reset = update
        if self.reset is not None:
            reset = torch.sigmoid(self.reset(x) + self.reset_state(state))
        new = torch.tanh(self.new(x) + reset * self.new_state(state))
        state = state + update * (new - state)
        return x + self.project(state), state

    def clip(self, x: Tensor, truncate: int) -> Tensor:
        """Runs the frames of clips in their order.

        Args:
            x: NxTxCxhxw features.
            truncate: Number of frames after which the state passes no gradient on (truncated
                back-propagation through time, Williams and Peng, 1990).

        Returns:
            NxTxCxhxw features.
        """
        state, out = self.empty(x[:, 0]), []
        for index, frame in enumerate(x.unbind(1)):
            if index and index % truncate == 0:
                state = state.detach()
            y, state = self(frame, state)
            out.append(y)
        return torch.stack(out, 1)
