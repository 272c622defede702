"""Photos in and out: untrusted bytes to lightness, colours to encoded bytes."""
