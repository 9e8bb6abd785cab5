"""How good detections are: `average_precision`."""
