"""Every text that the studio shows, so that it can be translated."""

from __future__ import annotations

TITLE = "vidstyle studio"
# Answers to what is refused.
NO_TOKEN = "Open the address that `vidstyle studio` has printed: it holds the token without which nothing is shown.\n"
OTHER_HOST = "The name in the address is not that of this server.\n"
OTHER_ORIGIN = "This was sent by a page of another site.\n"
TOO_LARGE = "That is larger than {limit} MB, which is the limit.\n"
NOT_FOUND = "There is no such thing.\n"
WRONG_PASSWORD = "That is not the password."
LOGIN_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>vidstyle studio</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>:root{color-scheme:light dark}
body{font:1rem system-ui,sans-serif;display:grid;place-items:center;min-height:90vh}form{display:grid;gap:.75rem}
input,button{font:inherit;padding:.5rem}</style><form method="post" action="/login"><label for="password">Password of
this studio</label><input id="password" name="password" type="password" autofocus required
autocomplete="current-password"><button>Open</button><output>{hint}</output></form></html>"""
# The page.
TABS = {"choose": "Choose", "paint": "Paint", "look": "Look"}
CONTENT, STYLES = "Picture or clip", "Styles"
DROP_CONTENT, DROP_STYLE = "Add a picture or clip", "Add a style"
DROP_RESULT = "Take the settings of a result"
READING = "Reading {name} …"
TAKEN_BACK = "The settings of {name} are set."
TAKEN_IN_PART = "The settings of {name} are set; choose {missing} yourself, which it was painted from."
STILL = "Preview"
STILL_EMPTY = "Choose a picture or clip, and a style."
STILL_STATUS = "{width} × {height}, loss {loss:.3f} after {evaluations} evaluations"
REFINING, REFINED = "painting …", "done"
SECOND = "Frame shown, in seconds"
DIALS = {
    "alpha": "Alpha: style to content",
    "style_scale": "Size of strokes",
    "preserve_color": "Keep the content's colours",
    "match_colors": "Match the styles' colours",
}
STYLE_METRIC = "Distance of styles"
METRICS = {"wasserstein": "Wasserstein", "gram": "Gram"}
MIX = "Share of {name}"
RESET = "Reset"
JOB = "Paint as"
JOBS = {"video": "clip", "image": "picture", "balance": "balance animation"}
SIZE, FORMAT, NAME, SECONDS = "Long side, pixels", "Format", "Name", "Length, seconds"
START, END = "From second", "To second"
SCHEDULE = "Alpha over time"
CONTENT_END, STYLE_END = "content", "style"
SECONDS_AT, THEN_BACK = "{seconds:.3g} s", "{seconds:.3g} s, then back"
KEY, KEY_AT = "Key {number} of {count}", "alpha {value:.2f} at {seconds:.2f} s"
WAY = "From key {number} to the next"
WAYS = {"linear": "evenly", "ease": "slowly at both ends", "step": "not until the next"}
ADD_KEY, REMOVE_KEY = "Add a key", "Remove the key"
CURVE_HINT = (
    "Drag a key, or move it with the arrow keys; double-click adds one. Delete removes it, Enter changes its way."
)
PAINT = "Paint"
ADDED = "{name} is in the queue."
COPY_COMMAND, COPY_PYTHON = "Copy as command", "Copy as Python"
FACTS_PICTURE = "{width} × {height}"
FACTS_CLIP = "{width} × {height}, {seconds:.1f} s, {frames} frames, {shots}"
SHOTS = {1: "1 shot"}
SHOTS_MANY = "{count} shots"
COMPARE = "Compare alphas"
COMPARE_HINT = "Paint it small in each style at several alphas, to choose from"
CELL = "{name}, alpha {alpha:g}"
MASK, MASK_DONE, MASK_NONE = "Draw a mask", "Use this mask", "Paint everywhere"
MASK_HINT = (
    "Draw a box around a thing, and mend its mask with brush and eraser. It is painted there; elsewhere the content "
    "stays. In a clip the mask is carried along from this frame."
)
TOOL, TOOLS = "Tool", {"cut": "Thing in a box", "brush": "Brush", "erase": "Eraser", "box": "Filled box"}
NOTHING_IN_BOX = "Nothing stands out in that box. Draw it closer around the thing, with a little of what is around it."
BRUSH = "Size of the brush"
EMPTY_MASK = "Nothing is drawn, so nothing would be painted."
# The queue.
QUEUE_EMPTY = "Nothing is in the queue. Choose what to paint first."
STATES = {
    "waiting": "waiting",
    "running": "painting",
    "paused": "paused",
    "stopped": "stopped",
    "done": "done",
    "failed": "failed",
}
PHASES = {"starting": "starting", "painting": "painting", "encoding": "encoding"}
WORK = {"encode": "encoding", "measure": "measuring"}  # what a job does that paints nothing
PAUSE, RESUME, STOP, UP, REMOVE, LOOK, SETTINGS = "Pause", "Resume", "Stop", "Move up", "Remove", "Look", "Settings"
PAUSE_HINT = "Stop here, keep what is painted, and start nothing else"
STOP_HINT = "Stop here, keep what is painted, and go on with the next"
FRAMES = "{painted} of {frames} frames"
EVALUATIONS = "{count} evaluations"
RATE, RATE_SLOW, LEFT = "{fps:.2f} frames/s", "{seconds:.1f} s/frame", "{left} left"
SHOT, MEMORY = "shot {number} of {count}", "{size} of memory"
LOSS = "loss {loss:.4f}"
CURVE = "Loss of each frame, from {first:.3f} to {last:.3f}"
NEWEST = "Newest frame"
NO_FRAME = "no frame yet"
INTERRUPTED = "The process ended before the job was finished; resume goes on."
# Looking.
LOOK_EMPTY = "Nothing is painted yet."
RESULT = "Result"
BEFORE, AFTER = "content", "painting"
WIPE = "Before and after"
FRAME = "Frame"
PLAY, STOP_PLAYING, PREVIOUS, NEXT = "Play", "Stop playing", "Previous frame", "Next frame"
DIFFERENCE = "Difference"
DOWNLOAD = "Download {name} ({size})"
EXPORT, EXPORT_AS, EXPORT_LIMIT = "Encode", "Also as", "At most, MB"
SIZE_NOW, SIZE_OF = "{size} so far", "{size}"
FILES = "Other files"
FILE_LINE = "{name}: {state}"
REPORT = "Consistency"
MEASURE, MEASURING = "Measure consistency", "The report is being made: {state}."
MEASURE_HINT = "Paint some frames independently, and say how much less the clip flickers; takes a while"
OPEN_REPORT = "Open the report"
FLICKER = "Flicker beside independent frames"
WARPING = "Warping error"
STYLE_DISTANCE, STYLE_RATIO = "Style distance", "Style distance beside independent frames"
SHARPNESS = "Sharpness of the last frame beside the first"
