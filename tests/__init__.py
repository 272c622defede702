"""The tests; those of properties try few, fixed examples, or many: `--hypothesis-profile long`."""

from hypothesis import settings

settings.register_profile("suite", max_examples=50, derandomize=True, database=None, deadline=None)
settings.register_profile("long", max_examples=3_000, deadline=None, print_blob=True)
settings.load_profile("suite")
