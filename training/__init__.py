"""From folders of photos to a published SavedModel."""
