"""The reproduction of the thesis (T. Zaman 2020): its experiment run, measured and described."""
