//! Programs that pages call. In a fence without a mark, a line must begin with one of these, or with a path.

use std::{collections::HashSet, sync::LazyLock};

const PROGRAMS: &str = "
! ( . ./mvnw [ [[ a2dissite a2ensite ab alembic alias ansible ansible-playbook apache2ctl
apachectl apk apt apt-get argocd artillery artisan awk aws az barman base64 bash bin/rails brew
bun bundle cap cargo case cat cd celery certbot cf chkconfig chmod chown clear composer consul
cosign cp cqlsh crane crictl crontab ctr curl cut cypher-shell date dbmate deno df diff dig
django-admin dnf docker docker-compose doctl dotnet dpkg du eb echo ecs-cli eksctl env envsubst
etcdctl eval exec exit export fab false find firewall-cmd flux fly flyctl flyway for free
function gcloud gh git glab go goose gradle grep gsutil gunicorn gunzip gzip haproxy head helm
helmfile heroku hey host hostname htop http httpie id if ip iptables istioctl java journalctl
jq k k6 k9s kafka-consumer-groups kafka-consumer-groups.sh kafka-topics kafka-topics.sh kill
killall kn knex kubectl kubectx kubens kubeseal kustomize less linkerd liquibase ln locust ls
lsof make manage.py mariadb mc md5sum mkdir mongo mongodump mongorestore mongosh more mount mv
mvn mysql mysqladmin mysqldump nano nc netstat newman newrelic nginx node nodetool nohup nomad
npm npx nslookup oc openssl pacman patronictl pg_basebackup pg_dump pg_restore pgbackrest php
ping pip pip3 pipenv pkill pm2 pnpm podman poetry popd printf prisma ps psql pulumi push pushd
pwd pytest python python3 rabbitmqctl rails rake read redis-cli repmgr restic rm rmdir rollout
rpm rsync ruby s3cmd salt scp sed sentry-cli seq serverless service set sftp sh sha256sum
shutdown skaffold skopeo sleep sls snap sops sort source sqlcmd sqlite3 sqlx ss ssh stat stern
su sudo supervisorctl systemctl tail tar tee telnet terraform terragrunt test time timeout tkn
tmux tofu top touch tr traceroute trap trivy true ufw umount uname unset until unzip
update-rc.d uptime uv uwsgi vagrant varnishadm vault vegeta velero vercel vi vim wait wal-g
watch wc wget which while whoami wrk xargs yarn yes yq yum zcat zip zkCli.sh {
";

static KNOWN: LazyLock<HashSet<&str>> = LazyLock::new(|| PROGRAMS.split_whitespace().collect());

/// Whether it is the name of a program that pages call.
pub(super) fn is_known(name: &str) -> bool {
    KNOWN.contains(name)
}
