"""The service over HTTP: what may be asked, what is answered, and the limits of both."""
