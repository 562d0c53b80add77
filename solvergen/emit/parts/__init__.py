"""What an emitted file has besides when its solver needs it: noise, own steps, blocks, sweeps, fitted numbers."""
