"""What a person sees: the only part of nsview that imports Textual."""
