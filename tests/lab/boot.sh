# The first thing a test host does: its users and sshd, then its role.
#   LAB_SUDO      1: ops may sudo anything
#   LAB_PASSWORD  the hash of ops's password, "*" for none ("!" would make sshd refuse the key too)
#   LAB_WITHOUT   globs of files this host shall not have
#   LAB_SERVICES the SysV scripts it keeps of those the machine has for its daemons
#   LAB_OPEN      quoted directories to make passable, outside of bind mounts
#   LAB_SCRIPT    the role to play, run as root
set -eu
home=/home/ops
mkdir -p $home/.ssh /run/sshd /run/lock

if [ "$(id -u)" = 0 ]; then
    for user in ops:1999:/bin/bash mongodb:1801:/usr/sbin/nologin elasticsearch:1802:/usr/sbin/nologin; do
        name=${user%%:*} rest=${user#*:}
        uid=${rest%%:*} shell=${rest#*:} hash='*'
        [ $name = ops ] && hash=$LAB_PASSWORD
        echo "$name:x:$uid:$uid::/home/$name:$shell" >>/etc/passwd
        echo "$name:x:$uid:" >>/etc/group
        echo "$name:$hash:19000:0:99999:7:::" >>/etc/shadow
    done
    if [ "$LAB_SUDO" = 1 ]; then
        echo "ops ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/lab
        chmod 440 /etc/sudoers.d/lab
    fi
    for daemon in nginx mariadb memcached rabbitmq-server redis-server supervisor postgresql; do
        case " $LAB_SERVICES " in
            *" $daemon "*) ;;
            *) rm -f "/etc/init.d/$daemon" ;;
        esac
    done
    # The repository and its Python may live in a closed directory (root's home), and the host's users
    # run them. It is the overlay's copy that is opened, never the machine's.
    eval "set -- $LAB_OPEN"
    [ $# = 0 ] || chmod a+x "$@"
fi

cp /run/lab/authorized_keys $home/.ssh/authorized_keys
chmod 700 $home/.ssh
[ "$(id -u)" != 0 ] || chown -R ops:ops $home
for pattern in $LAB_WITHOUT; do
    rm -rf $pattern
done
/usr/sbin/sshd -f /run/lab/sshd_config
[ -z "$LAB_SCRIPT" ] || exec sh "$LAB_SCRIPT"
