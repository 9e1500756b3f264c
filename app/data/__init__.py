"""What the pages show, looked up in the output tree; no page touches a path."""
