"""The network, the data, the losses and the training loop."""
