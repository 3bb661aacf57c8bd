"""The render loop, and what is built on it: workers that paint shots, pilot renders, seams of divided shots."""
