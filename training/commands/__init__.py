"""The command line's stages, by what they are about; each module adds its own."""
