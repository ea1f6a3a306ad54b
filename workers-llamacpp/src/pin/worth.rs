/// How many returns that find something make up for one that does not.
const HITS_PER_MISS: usize = 8;

/// Both counts are halved when there are so many returns, and four for each slot: what was long ago counts for less.
const WINDOW: usize = 64;

/// Of so many requests that are left to the server one finds out whether that is still right.
const PATIENCE: usize = 32;

/// Whether sessions find what they have left.
#[derive(Debug, Default)]
pub(super) struct Worth {
    /// How often a session came back and found what it had left, and how often it found nothing.
    hits: usize,
    misses: usize,
    /// Requests left to the server since it was tried last.
    left: usize,
}

impl Worth {
    /// Says whether the next request shall have a place. A restart of the server, after which each session finds nothing once,
    /// is no reason to doubt it.
    pub(super) const fn try_it(&mut self, slots: usize) -> bool {
        let most = slots + self.hits / HITS_PER_MISS;
        if self.misses <= most {
            return true;
        }
        self.left += 1;
        if self.left < PATIENCE {
            return false;
        }
        // The next miss is one too many again.
        self.left = 0;
        self.misses = most;
        true
    }

    /// Notes what a session found that had to find something.
    pub(super) fn came_back(&mut self, found: bool, slots: usize) {
        *(if found { &mut self.hits } else { &mut self.misses }) += 1;
        if self.hits + self.misses >= WINDOW.max(4 * slots) {
            self.hits /= 2;
            self.misses /= 2;
        }
    }
}
