"""Real servers on loopback that behave, on the wire, like what they stand for."""
