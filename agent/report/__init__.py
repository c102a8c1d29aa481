"""From a Diagnosis to what people read: one view, and every form made from it."""
