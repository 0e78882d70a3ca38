"""The bus: samples as bytes, over ZeroMQ and shared memory, with every loss counted."""
