"""What follows from the answers: everything that a render needs, decided once."""
