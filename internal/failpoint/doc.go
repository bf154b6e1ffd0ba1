// Package failpoint names moments at which a test can have a real process
// killed, held up, or refused by its disk.
//
// An ordinary build has none of it: [At] is nil there and costs nothing. A build
// with the tag failpoints, for Linux, follows the file that the environment variable
// FLEETLOG_FAILPOINTS names, which is read anew at every passage and may be
// missing. Each of its lines is
//
//	POINT ACTION [N]
//
// where POINT is a name, or * for all of them. At the N-th passage of the point
// (the first, when N is left out) ACTION kill ends the process as SIGKILL does,
// and stop holds it up as SIGSTOP does; ENOSPC and EIO are what At returns from
// that passage on. Passages are counted from the moment that the file says
// something new; a line that begins with # is a comment. What is done is said on
// standard error first.
package failpoint
