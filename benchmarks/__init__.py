"""What the service is compared with, and how. Not part of the installed package."""
