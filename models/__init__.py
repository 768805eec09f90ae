"""Models that run in the shop (none yet): catalogue, detector, tracker, worker. Never imports the gateway."""
