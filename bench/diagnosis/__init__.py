"""How often the diagnosis is right on real cases, and how it behaves when it cannot know."""
