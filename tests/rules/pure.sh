#!/usr/bin/env bash
# The core has no input or output, clock, environment, chance or threads: its own objects do not
# even name the functions. Needs MOAT_BUILD, built.
set -euo pipefail
: "${MOAT_BUILD:?}"

words() { paste -sd'|' <<<"${*// /$'\n'}" | tr ' ' '|'; }

files=$(words open openat creat close read pread readv write pwrite writev lseek stat lstat fstat fstatat \
  statx access faccessat readlink readlinkat opendir readdir unlink unlinkat rename mkdir rmdir \
  fopen fdopen freopen fclose fread fwrite fgets fputs fputc fgetc getline puts putchar printf \
  fprintf vprintf vfprintf dprintf scanf fscanf fflush ioctl fcntl mmap mprotect munmap dlopen)
sockets=$(words socket socketpair connect bind listen accept accept4 send sendto sendmsg recv \
  recvfrom recvmsg getaddrinfo gethostbyname poll ppoll select epoll_wait)
processes=$(words fork vfork clone execve execv execvp execl posix_spawn system popen wait waitpid \
  kill raise signal sigaction sleep usleep nanosleep syscall getpid gettid exit _exit)
world=$(words time clock clock_gettime gettimeofday localtime gmtime mktime getenv secure_getenv \
  setenv putenv environ rand random srand drand48 getrandom getentropy arc4random gethostname uname)
c="^(__)?($files|$sockets|$processes|$world|pthread_[a-z_]+|thrd_[a-z]+)(64)?(_chk)?(@.*)?$"
cxx='^std::(__[a-z0-9]+::)?(thread|jthread|this_thread|mutex|recursive_mutex|condition_variable|async|random_device|filesystem|basic_(i|o)?fstream|basic_filebuf|basic_file|__basic_file|cout|cerr|clog|cin)'
clock='^std::chrono::.*clock::now'

# The folder also builds a library it links; that one is not its own.
mapfile -t objects < <(find "$MOAT_BUILD/policies" -path '*/moat_policies.dir/*' -name '*.o' \
  2>/dev/null | sort)
((${#objects[@]} > 20)) ||
  { echo "${#objects[@]} objects of moat_policies below $MOAT_BUILD/policies: build first"; exit 1; }

bad=0
for object in "${objects[@]}"; do
  # Weak ones too ("w"): they are used when they are there.
  while read -r symbol; do
    echo "${object#"$MOAT_BUILD"/}: $symbol"
    bad=$((bad + 1))
  done < <(nm -uC "$object" | sed -E 's/^ *[UwvV] //' | grep -E "$c|$cxx|$clock" || true)
done
((bad == 0)) || { echo "$bad uses of the outside world in policies/"; exit 1; }
echo "${#objects[@]} objects of policies/ are pure"
