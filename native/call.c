/* netloom-call: what a runtime starts for each thing it wants, as a CNI plugin (`netloom`, `netloom-ipam`) or as `netavark`.
 *
 * It hands its words, standard input, the variables that matter and the namespace, by descriptor, to the daemon's socket,
 * prints what comes back and ends as it is told. Where nobody listens it becomes the program itself, which does the same
 * in-process. Where the daemon goes away in the middle it asks again, and says by a token that it is the same call: what
 * was done already is answered, not done twice.
 *
 * One message each way, numbers as this machine has them: struct question, then its texts, each with its NUL (program,
 * token, words, NAME=VALUE), then the input; struct answer, then standard output and error. One byte after that says that
 * all of it was printed: an attachment that nobody was told of is taken back. src/daemon/call-frame.ts is the other side.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Where things are: an installer writes them into its copy of this file (src/cli/shim-file.ts). */
static const volatile struct {
  char mark[32], program[1024], socket[128];
} settings = { "netloom-call settings, 1:", "", "/run/netloom/call.sock" };

/* Which variables the other side gets; what ends in "_" is the beginning of many. */
static const char *const passed[] = { "CNI_", "NETLOOM_", "NETAVARK_", "AARDVARK_", "CONTAINERS_",
                                      "PATH=", "HOME=", "TMPDIR=", "XDG_RUNTIME_DIR=", "RUST_LOG=" };

enum {
  TEXT_MAX = 1 << 20,  /* more words and variables than that: in-process */
  INPUT_MAX = 4 << 20, /* the rest is not read: the doors refuse a quarter of it */
  DEADLINE = 110,      /* seconds, of everything: runtimes give two minutes and more */
  PATIENCE = 5,        /* seconds in which a daemon that went away may come back */
};
struct question {
  char mark[4];
  uint32_t words, variables, text, input;
};
struct answer {
  char mark[4];
  uint32_t status, output, error;
};

static char text[TEXT_MAX], input[INPUT_MAX], token[33], late[200];
static struct question question = { .mark = "NLC1" };
extern char **environ;

/* No EINTR anywhere: the one signal that is handled ends the program. */
static void say(int fd, const char *data, size_t size) {
  for (ssize_t n; size > 0; data += n, size -= n)
    if ((n = write(fd, data, size)) < 0) _exit(1);
}

/* A failure of our own: as a CNI plugin says it, and in `error` as netavark does. Text from outside is not quoted in it. */
static int describe(char *out, size_t size, int code, const char *what, const char *why) {
  const char *version = strstr(input, "\"cniVersion\"");
  char number[16] = "1.1.0";
  if (version) sscanf(version + 12, " : \"%15[0-9.]\"", number);
  const char *form = "{\"cniVersion\":\"%s\",\"code\":%d,\"msg\":\"%s%s\",\"error\":\"%s%s\"}\n";
  int length = snprintf(out, size, form, number, code, what, why, what, why);
  return length < (int)size ? length : (int)size - 1;
}
__attribute__((noreturn)) static void die(int code, const char *what, const char *why) {
  char line[500];
  say(1, line, describe(line, sizeof line, code, what, why));
  _exit(1);
}
static void too_late(int signal) {
  (void)signal;
  say(1, late, strlen(late));
  _exit(1);
}

/* Seconds that a test or an installation asks for instead. */
static unsigned seconds(const char *variable, unsigned usual) {
  const char *given = secure_getenv(variable);
  return given && atoi(given) > 0 ? (unsigned)atoi(given) : usual;
}

static const char *setting(const char *variable, const volatile char *slot, char *out, size_t size) {
  const char *given = secure_getenv(variable);
  for (size_t i = 0; i < size; i++) out[i] = slot[i];
  return given && *given ? given : out;
}

/* Beside the daemon's other socket, wherever that is. */
static void socket_address(struct sockaddr_un *at) {
  const char *api = secure_getenv("NETLOOM_SOCKET"), *slash = api ? strrchr(api, '/') : NULL;
  char slot[sizeof settings.socket];
  const char *run = setting("NETLOOM_RUN_DIR", settings.socket, slot, sizeof slot);
  const char *name = slash || run != slot ? "/call.sock" : "", *dir = slash ? api : run;
  int length = snprintf(at->sun_path, sizeof at->sun_path, "%.*s%s", slash ? (int)(slash - api) : 1024, dir, name);
  at->sun_family = length < (int)sizeof at->sun_path ? AF_UNIX : AF_UNSPEC;
}

/* Becomes the program, which gets everything that we got, and the token. */
__attribute__((noreturn)) static void in_process(const char *name, char **argv) {
  char slot[sizeof settings.program];
  const char *program = setting("NETLOOM_PROGRAM", settings.program, slot, sizeof slot);
  int fd = memfd_create("input", 0);
  if (fd < 0) die(5, "no memory file: ", strerror(errno));
  say(fd, input, question.input);
  if (lseek(fd, 0, SEEK_SET) < 0 || dup2(fd, 0) < 0) die(5, "standard input: ", strerror(errno));
  if (fd != 0) close(fd);
  /* itself, by a mistake of whoever installed it: once around is enough */
  if (getenv("NETLOOM_CALLED_AS")) die(50, "netloom is not installed: its program is this one", "");
  setenv("NETLOOM_CALLED_AS", name, 1);
  setenv("NETLOOM_REQUEST", token, 1);
  alarm(0);
  argv[0] = (char *)program;
  execv(program, argv);
  die(50, "no daemon of netloom listens, and its program cannot be started: ", strerror(errno));
}

static bool append(const char *word) {
  size_t size = strlen(word) + 1;
  if (size > TEXT_MAX - question.text) return false;
  memcpy(text + question.text, word, size);
  question.text += size;
  return true;
}

/* The namespace that the call is about; a call that cannot do without has to find it. */
static const char *namespace_path(const char *name, int argc, char **argv, bool *needed) {
  const char *verb = getenv("CNI_COMMAND"), *path = getenv("CNI_NETNS");
  if (strcmp(name, "netavark") == 0 || (!verb && argc == 3)) verb = argc > 2 ? argv[argc - 2] : NULL, path = argv[argc - 1];
  *needed = verb && (strcmp(verb, "ADD") == 0 || strcmp(verb, "CHECK") == 0 || strcmp(verb, "setup") == 0);
  bool has = *needed || (verb && (strcmp(verb, "DEL") == 0 || strcmp(verb, "teardown") == 0));
  return has && path && *path ? path : NULL;
}

/* All of it, or as much as the other side takes. */
static bool send_question(int fd, int netns) {
  struct iovec parts[] = { { &question, sizeof question }, { text, question.text }, { input, question.input } };
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
  memcpy(CMSG_DATA(&control.header), &netns, sizeof netns);
  struct msghdr message = { .msg_iov = parts, .msg_iovlen = 3, .msg_control = netns < 0 ? NULL : &control };
  message.msg_controllen = netns < 0 ? 0 : CMSG_LEN(sizeof(int));
  for (;;) {
    ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    if (sent < 0) return false;
    for (; message.msg_iovlen > 0 && (size_t)sent >= message.msg_iov->iov_len; message.msg_iov++, message.msg_iovlen--)
      sent -= message.msg_iov->iov_len;
    if (message.msg_iovlen == 0) return true;
    message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + sent;
    message.msg_iov->iov_len -= sent;
    message.msg_control = NULL, message.msg_controllen = 0; /* it went with the first byte */
  }
}

static bool receive(int fd, void *data, size_t size) {
  return size == 0 || recv(fd, data, size, MSG_WAITALL) == (ssize_t)size;
}

/* One attempt; returns where the connection broke before the answer was whole. */
static void ask(int fd, int netns) {
  struct answer answer;
  send_question(fd, netns); /* whoever refuses us answers without listening */
  if (!receive(fd, &answer, sizeof answer) || memcmp(answer.mark, "NLA1", 4) != 0) return;
  if (answer.output > INT32_MAX || answer.error > INT32_MAX) return;
  char *said = malloc((size_t)answer.output + answer.error + 1);
  if (!said || !receive(fd, said, (size_t)answer.output + answer.error)) return free(said);
  alarm(0); /* it came in time: one of the two is printed */
  say(1, said, answer.output);
  say(2, said + answer.output, answer.error);
  send(fd, "", 1, MSG_NOSIGNAL); /* that nobody waits to hear it changes nothing: it is printed */
  _exit((int)answer.status);
}

int main(int argc, char **argv) {
  const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL, *name = slash ? slash + 1 : argc > 0 ? argv[0] : "netloom";
  describe(late, sizeof late, 11, "netloom did not answer in time: try again later", "");
  signal(SIGALRM, too_late);
  alarm(seconds("NETLOOM_CALL_SECONDS", DEADLINE));
  for (ssize_t got; (got = read(0, input + question.input, INPUT_MAX - 1 - question.input)) > 0;) question.input += got;
  describe(late, sizeof late, 11, "netloom did not answer in time: try again later", "");

  const char *again = secure_getenv("NETLOOM_REQUEST");
  uint8_t dice[16];
  if (getrandom(dice, sizeof dice, 0) != sizeof dice) die(11, "no random numbers: ", strerror(errno));
  for (size_t i = 0; i < sizeof dice; i++) snprintf(token + 2 * i, 3, "%02x", dice[i]);
  if (again && strlen(again) == 32) memcpy(token, again, 32);
  bool fits = append(name) && append(token), needed;
  for (int i = 1; i < argc; i++, question.words++) fits = fits && append(argv[i]);
  for (char **variable = environ; *variable; variable++)
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
      if (strncmp(*variable, passed[i], strlen(passed[i])) == 0) fits = fits && append(*variable), question.variables++;

  const char *path = namespace_path(name, argc, argv, &needed);
  int netns = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
  struct sockaddr_un at = { 0 };
  /* said here: from the daemon's place the same path may lead somewhere */
  if (path && needed && netns < 0) die(3, "the namespace cannot be opened: ", strerror(errno));
  socket_address(&at);
  if (!fits || at.sun_family != AF_UNIX) in_process(name, argv);
  struct timespec broken = { 0 }, now;
  for (;;) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (void *)&at, sizeof at) == 0) {
      ask(fd, netns);
      clock_gettime(CLOCK_MONOTONIC, &now);
      if (broken.tv_sec == 0) broken = now;
    } else if (broken.tv_sec == 0) {
      in_process(name, argv);
    }
    close(fd);
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec - broken.tv_sec >= seconds("NETLOOM_CALL_PATIENCE", PATIENCE)) in_process(name, argv);
    nanosleep(&(struct timespec){ .tv_nsec = 20 * 1000 * 1000 }, NULL);
  }
}
