"""`sensorium calibrate av`: by how much a camera and a microphone disagree about time."""
