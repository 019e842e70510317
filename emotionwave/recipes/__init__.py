"How each network that ships was made."
