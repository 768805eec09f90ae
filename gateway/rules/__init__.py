"""What follows from what was seen. Pure: no clock, no I/O, no chance; time and state come with the messages."""
