"""What is asked, offered and refused."""
