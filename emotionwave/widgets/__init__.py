"The app for notebooks."
from .panel import App, app
