# hnas as in this checkout, with the versions of constraints.txt: docs/scale-out.md.
FROM python:3.11-slim
WORKDIR /hnas
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY hnas hnas
COPY studies studies
COPY cli cli
RUN pip install --no-cache-dir -c constraints.txt ".[postgres]"
COPY --chmod=755 docker-entrypoint.sh /usr/local/bin/
RUN useradd --create-home hnas && mkdir /runs && chown hnas /runs
USER hnas
ENTRYPOINT ["docker-entrypoint.sh"]
