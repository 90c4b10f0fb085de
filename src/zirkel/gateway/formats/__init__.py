"""Wire formats: what bodies look like. Every one is read into, or written from, one hub form."""
