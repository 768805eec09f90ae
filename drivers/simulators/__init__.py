"""The digital twin: peers that speak the real wire protocols, with faults and a ground truth. Not for production."""
