"""What a person sees of a run from outside of it: `sensorium status` and `sensorium top`."""
