"""From a teacher table to a formula with a covariance: engines, refits, exports."""
