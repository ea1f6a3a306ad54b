//! What becomes of frames, and of time.

mod frames;
mod time;
